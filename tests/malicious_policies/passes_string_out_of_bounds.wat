;; Passes an owner whose string ends outside its memory.
;; Expected: sandbox error, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 0) (i32.const 0x7fffffff) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
