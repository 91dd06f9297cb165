package learnings

import rego.v1

default allow := false

allow if "agent_os:admin" in input.caller.scopes

allow if {
	"learnings:delete" in input.caller.scopes
	input.learning.owner == input.caller.subject
}
