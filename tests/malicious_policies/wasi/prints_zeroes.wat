;; Writes more zeroes to standard output than any memory can contain, by a function that makes the host allocate them.
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
  (core func $zeroes (canon lower (func $streams "[method]output-stream.write-zeroes") (memory $memory "memory")))
  (core instance $wasi (export "stdout" (func $stdout)) (export "zeroes" (func $zeroes)))
  (core module $policy
    (import "wasi" "stdout" (func $stdout (result i32)))
    (import "wasi" "zeroes" (func $zeroes (param i32 i64 i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $zeroes (call $stdout) (i64.const -1) (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
