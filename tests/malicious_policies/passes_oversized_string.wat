;; Passes an owner of 100,000 bytes, all in its memory, more than it can pass to the host.
;; Expected: sandbox error, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 0) (i32.const 100000) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
