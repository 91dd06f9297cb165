;; Calls `delete-if-owned-by` with the learning id as the owner, then returns a rejection of 14 bytes.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (local.get 0) (local.get 1) (i32.const 0))
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
