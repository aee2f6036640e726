"""What a CDS Hooks client meets: discovery, request, response, feedback, errors."""
