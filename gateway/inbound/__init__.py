"""Everything that starts work: one listener per wire, the job runner, the operators' desk."""
