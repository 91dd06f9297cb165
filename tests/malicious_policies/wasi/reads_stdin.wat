;; Reads from standard input. Deletes if that is closed.
;; Expected: 204, without waiting.
(component
  ;; include imports
  ;; include wasi-streams
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $input (type $input'))
    (export "input-stream" (type $input (eq $input')))
    (export "get-stdin" (func (result (own $input))))
  ))
  ;; include memory
  ;; include host
  (core func $stdin (canon lower (func $stdin "get-stdin")))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core instance $wasi (export "stdin" (func $stdin)) (export "read" (func $read)))
  (core module $policy
    (import "wasi" "stdin" (func $stdin (result i32)))
    (import "wasi" "read" (func $read (param i32 i64 i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $read (call $stdin) (i64.const -1) (i32.const 0))
      ;; Traps unless the result is the error `closed`.
      (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 1)) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.const 4)) (i32.const 1)) (then unreachable))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
