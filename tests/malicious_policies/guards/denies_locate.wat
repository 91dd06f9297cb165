;; Denies `locate`.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-deletes
    (func (export "find") (result i32) (call $find (i32.const 0)) (i32.const 0))
    (func (export "locate") (result i32)
      (call $error (i32.const 6)))
  )
  ;; include guard-export
)
