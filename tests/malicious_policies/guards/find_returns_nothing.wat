;; Its `find` returns that the record does not exist.
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
      (i32.store8 (i32.const 8) (i32.const 0))
      (i32.const 0))
  )
  ;; include guard-export
)
