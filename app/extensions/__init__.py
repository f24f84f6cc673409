"""Extensions: Python modules of the operator that add to the server what Rollcall itself does not have."""
