  ;; The part of the contract (wit/) that the malicious policies use.
  (import "learnings:plugin/types@0.1.0" (instance $types
    (type $request' (record
      (field "learning-id" string) (field "db-id" (option string)) (field "table" (option string))))
    (export "request" (type $request (eq $request')))
    (type $code' (enum "bad-request" "unauthenticated" "forbidden" "not-found" "conflict" "too-many-requests"
      "internal-server-error" "not-implemented" "service-unavailable"))
    (export "error-code" (type $code (eq $code')))
    (type $rejection' (record (field "status" u16) (field "code" $code) (field "detail" string) (field "rule" string)))
    (export "rejection" (type $rejection (eq $rejection')))
  ))
  (import "learnings:plugin/identity@0.1.0" (instance $identity
    (type $credential' (enum "jwt" "service-account" "security-key" "none"))
    (export "credential" (type $credential (eq $credential')))
    (type $caller' (record (field "credential" $credential) (field "subject" (option string))
      (field "scopes" (list string)) (field "scopes-optional" bool) (field "all-owners" bool)
      (field "admin-scope" string)))
    (export "caller" (type $caller (eq $caller')))
    (type $kind' (enum "missing" "malformed" "invalid" "expired" "wrong-audience" "reserved-subject" "not-enabled"
      "rate-limited" "unavailable" "internal"))
    (export "identity-error-kind" (type $kind (eq $kind')))
    (type $error' (record (field "kind" $kind) (field "credential" $credential) (field "message" string)))
    (export "identity-error" (type $error (eq $error')))
    (export "current" (func (result (result $caller (error $error)))))
  ))
  (import "learnings:plugin/storage@0.1.0" (instance $storage
    (type $target' (record (field "database" string) (field "table" string)))
    (export "target" (type $target (eq $target')))
    (type $outcome' (enum "absent" "unowned" "owned-by-another" "changed" "deleted"))
    (export "outcome" (type $outcome (eq $outcome')))
    (type $kind' (enum "invalid-learning-id" "repeated-parameter" "database-required" "unknown-database"
      "unknown-table" "unsupported" "denied" "unavailable" "outcome-unknown" "internal"))
    (export "storage-error-kind" (type $kind (eq $kind')))
    (type $error' (record (field "kind" $kind) (field "message" string)))
    (export "storage-error" (type $error (eq $error')))
    (export "locate" (func (result (result $target (error $error)))))
    (export "delete" (func (result (result $outcome (error $error)))))
    (export "delete-if-owned-by" (func (param "user-id" string) (result (result $outcome (error $error)))))
  ))
