;; Exits with status 0 instead of returning.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  ;; include memory
  ;; include host
  (core func $exit (canon lower (func $exit "exit")))
  (core instance $wasi (export "exit" (func $exit)))
  (core module $guard
    (import "wasi" "exit" (func $exit (param i32)))
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (call $exit (i32.const 0))
      unreachable)
  )
  (core instance $guard (instantiate $guard (with "host" (instance $host)) (with "wasi" (instance $wasi))))
  ;; include guard-lift
)
