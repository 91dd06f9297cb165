;; Passes an owner at the last address, with a length that wraps around the 32-bit address space.
;; Expected: sandbox error, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const -1) (i32.const -1) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
