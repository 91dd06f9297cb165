;; Deletes the record while the policy calls `find`.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-deletes
    (func (export "locate") (result i32) (call $locate (i32.const 0)) (i32.const 0))
    (func (export "find") (result i32)
      (call $delete-if-owned-by (i32.const 2064) (i32.const 5) (i32.const 512))
      (call $find (i32.const 0))
      (i32.const 0))
  )
  ;; include guard-export
)
