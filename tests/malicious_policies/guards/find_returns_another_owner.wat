;; Its `find` returns the record with another owner.
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
      (i32.store (i32.const 40) (i32.const 2056))
      (i32.store (i32.const 44) (i32.const 7))
      (i32.const 0))
  )
  ;; include guard-export
)
