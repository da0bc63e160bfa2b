"""All that runs in a hospital: data, approvals, training, gate and the node agent."""
