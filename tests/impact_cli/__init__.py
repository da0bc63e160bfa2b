"""Commands and operations of impact studies, dossiers and reimbursement."""
