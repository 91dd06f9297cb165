;; Writes to its standard output endlessly.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include wasi-streams
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stdout" (func (result (own $output))))
  ))
  ;; include memory
  ;; include host
  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $memory "memory")))
  (core instance $wasi (export "stdout" (func $stdout)) (export "write" (func $write)))
  (core module $guard
    (import "wasi" "stdout" (func $stdout (result i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (local $out i32)
      (local.set $out (call $stdout))
      (loop $again (call $write (local.get $out) (i32.const 2048) (i32.const 4000) (i32.const 1536)) (br $again))
      unreachable)
  )
  (core instance $guard (instantiate $guard (with "host" (instance $host)) (with "wasi" (instance $wasi))))
  ;; include guard-lift
)
