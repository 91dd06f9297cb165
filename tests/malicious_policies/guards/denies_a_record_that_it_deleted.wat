;; Finds and deletes the record, and denies the second delete without finding the record again.
;; Expected: 500, record deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    (global $calls (mut i32) (i32.const 0))
    (func (export "delete") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.eq (global.get $calls) (i32.const 2)) (then (return (call $error (i32.const 6)))))
      (call $find (i32.const 0))
      (call $delete (i32.const 512))
      (i32.const 512))
    (func (export "delete-if-owned-by") (param i32 i32) (result i32) (call $error (i32.const 7)))
    (func (export "delete-if-unchanged") (param i32 i32) (result i32) (call $error (i32.const 7)))
  )
  ;; include guard-export
)
