;; Rejects every request by a rule that is named as the learning id.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (local.get 0) (local.get 1)))
  )
  ;; include export
)
