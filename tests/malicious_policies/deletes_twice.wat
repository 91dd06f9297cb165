;; Deletes twice and says so. The second finds the record absent, as the contract has it; what it says is true: 204.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
