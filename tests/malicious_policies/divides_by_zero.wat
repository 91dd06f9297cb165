;; Divides by zero.
;; Expected: trap, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (i32.div_u (i32.const 1) (i32.const 0)))
  )
  ;; include export
)
