;; Writes the learning id once for each byte of the db-id, to standard output and standard error in turn. Then returns
;; a rejection.
(component
  ;; include imports
  ;; include wasi-streams
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stdout" (func (result (own $output))))
  ))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stderr" (func (result (own $output))))
  ))
  ;; include memory
  ;; include host
  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core func $stderr (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $memory "memory")))
  (core instance $wasi
    (export "stdout" (func $stdout))
    (export "stderr" (func $stderr))
    (export "write" (func $write)))
  (core module $policy
    (import "wasi" "stdout" (func $stdout (result i32)))
    (import "wasi" "stderr" (func $stderr (result i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $one i32) (local $other i32) (local $swap i32)
      (local.set $one (call $stdout))
      (local.set $other (call $stderr))
      (loop $again
        (if (local.get 4)
          (then
            (call $write (local.get $one) (local.get 0) (local.get 1) (i32.const 0))
            (if (i32.load8_u (i32.const 0)) (then unreachable))
            (local.set $swap (local.get $one))
            (local.set $one (local.get $other))
            (local.set $other (local.get $swap))
            (local.set 4 (i32.sub (local.get 4) (i32.const 1)))
            (br $again))))
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  ;; include wasi
)
