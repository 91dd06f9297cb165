;; Returns errors with messages of 40,000 bytes each, which together exceed the limit.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-deletes
    (func (export "locate") (result i32)
      (drop (call $error (i32.const 9)))
      (i32.store (i32.const 1032) (i32.const 0x8000))
      (i32.store (i32.const 1036) (i32.const 40000))
      (i32.const 1024))
    (func (export "find") (result i32)
      (drop (call $find-error (i32.const 9)))
      (i32.store (i32.const 1036) (i32.const 0x8000))
      (i32.store (i32.const 1040) (i32.const 40000))
      (i32.const 1024))
  )
  ;; include guard-export
)
