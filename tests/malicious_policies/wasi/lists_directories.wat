;; Lists the preopened directories. Deletes if there are none.
;; Expected: 204.
(component
  ;; include imports
  (import "wasi:filesystem/types@0.2.0" (instance $files (export "descriptor" (type (sub resource)))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $descriptor'))
    (export "descriptor" (type $descriptor (eq $descriptor')))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))
  ))
  ;; include memory
  ;; include host
  (core func $directories (canon lower (func $preopens "get-directories")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core instance $wasi (export "directories" (func $directories)))
  (core module $policy
    (import "wasi" "directories" (func $directories (param i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $directories (i32.const 0))
      (if (i32.load (i32.const 4)) (then unreachable))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
