;; Calls itself endlessly.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func $recurse (param i32) (result i32)
      (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (drop (call $recurse (i32.const 0)))
      (call $error (i32.const 7)))
  )
  ;; include guard-export
)
