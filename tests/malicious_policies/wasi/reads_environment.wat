;; Reads the environment variables, arguments and working directory. Deletes if there are none.
;; Expected: 204, whatever the process has.
(component
  ;; include imports
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))
    (export "initial-cwd" (func (result (option string))))
  ))
  ;; include memory
  ;; include host
  (core func $environment (canon lower (func $environment "get-environment")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $arguments (canon lower (func $environment "get-arguments")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $cwd (canon lower (func $environment "initial-cwd")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core instance $wasi
    (export "environment" (func $environment))
    (export "arguments" (func $arguments))
    (export "cwd" (func $cwd)))
  (core module $policy
    (import "wasi" "environment" (func $environment (param i32)))
    (import "wasi" "arguments" (func $arguments (param i32)))
    (import "wasi" "cwd" (func $cwd (param i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $environment (i32.const 0))
      (if (i32.load (i32.const 4)) (then unreachable))
      (call $arguments (i32.const 0))
      (if (i32.load (i32.const 4)) (then unreachable))
      (call $cwd (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
