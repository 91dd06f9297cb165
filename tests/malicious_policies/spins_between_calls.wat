;; Calls `identity.current`, loops endlessly, and would then delete.
;; Expected: CPU time limit, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $current (i32.const 0))
      (loop $again (br $again))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
