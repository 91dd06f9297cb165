;; Its `find` returns the record with another content.
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
      (call $find (i32.const 0))
      (i32.store (i32.const 120) (i32.const 2048))
      (i32.store (i32.const 124) (i32.const 7))
      (i32.const 0))
  )
  ;; include guard-export
)
