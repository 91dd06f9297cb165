;; Calls `locate` and then itself, endlessly, so that `locate` runs at every fourth depth of its stack.
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
      (if (i32.eqz (i32.and (local.get 0) (i32.const 3))) (then (call $locate (i32.const 0))))
      (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (drop (call $recurse (i32.const 0)))
      unreachable)
  )
  ;; include guard-export
)
