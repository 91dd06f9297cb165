;; Denies `find`.
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
      (call $find-error (i32.const 6)))
  )
  ;; include guard-export
)
