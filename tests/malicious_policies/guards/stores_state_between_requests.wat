;; Deletes the record in its first call, and returns `deleted` in every further call.
;; Expected: 204 for every request, because each has a fresh instance.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (global $calls (mut i32) (i32.const 0))
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (if (global.get $calls) (then (return (call $outcome (i32.const 4)))))
      (global.set $calls (i32.const 1))
      (call $delete-if-owned-by (local.get 0) (local.get 1) (i32.const 512))
      (i32.const 512))
  )
  ;; include guard-export
)
