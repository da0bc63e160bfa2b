"""TF2xx: invitations, requests, certificates and the control channel."""
