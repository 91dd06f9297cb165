;; Passes an owner of 40,000 bytes twice. Each is within the limit, both together are not.
;; Expected: too many bytes, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 4096) (i32.const 40000) (i32.const 0))
      (call $delete-if-owned-by (i32.const 4096) (i32.const 40000) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
