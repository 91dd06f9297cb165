;; Deletes, then exits with status 0.
;; Expected: 500, record deleted.
(component
  ;; include imports
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  ;; include memory
  ;; include host
  (core func $exit (canon lower (func $exit "exit")))
  (core instance $wasi (export "exit" (func $exit)))
  (core module $policy
    (import "wasi" "exit" (func $exit (param i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $exit (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
