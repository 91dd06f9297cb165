;; Returns an error whose message is outside its memory.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (drop (call $error (i32.const 9)))
      (i32.store (i32.const 1036) (i32.const 0x7fffffff))
      (i32.const 1024))
  )
  ;; include guard-export
)
