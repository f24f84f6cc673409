"""Query plans: the path of a request whose shape was seen before.

    text                   the document as the client sent it
      |  literals          extract strings and integers; the text that remains finds its document, compiled once
      v
    literals, variables    the values of the request
      |  shapes            leave out the parts of the values that other values may replace
      v
    shape                  the key of the plan, together with the shape of the caller's access
      |  cache             find the plan; for a new shape, make one with slots in place of the values
      v
    plan                   queries.PlannedQuery or mutations.PlannedMutation: compiled statements
      |  cache             bind: the values of the request and those of the caller's access
      v
    bound request          queries.BoundQuery or mutations.MutationRequest
      |  queries           execute; if the caller's access has changed (StalePlan), bind and execute once more
      v
    response               JSON

A mutation skips the shapes: its plan belongs to the document, and only the plan that reads the written row back is
found by the shape of the caller's access. Every step may give up and return None. The request then takes the full
execution (`RollcallSchema.execute_full`), which returns the same response, or the error.
"""
