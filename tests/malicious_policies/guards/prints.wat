;; Writes `Not now` to its standard output, and forwards the delete.
;; Expected: 204; the output is in the log.
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
      (call $write (call $stdout) (i32.const 2048) (i32.const 7) (i32.const 1536))
      (call $delete-if-owned-by (local.get 0) (local.get 1) (i32.const 512))
      (i32.const 512))
  )
  (core instance $guard (instantiate $guard (with "host" (instance $host)) (with "wasi" (instance $wasi))))
  ;; include guard-lift
)
