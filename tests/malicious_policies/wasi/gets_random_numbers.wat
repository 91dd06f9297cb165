;; Gets two random numbers, and as many random bytes as the learning id has bytes. Deletes if the numbers differ.
;; Expected: 500 without `random`, record not deleted.
(component
  ;; include imports
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
  ))
  ;; include memory
  ;; include host
  (core func $number (canon lower (func $random "get-random-u64")))
  (core func $bytes (canon lower (func $random "get-random-bytes")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core instance $wasi (export "number" (func $number)) (export "bytes" (func $bytes)))
  (core module $policy
    (import "wasi" "number" (func $number (result i64)))
    (import "wasi" "bytes" (func $bytes (param i64 i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $bytes (i64.extend_i32_u (local.get 1)) (i32.const 0))
      (if (i64.eq (call $number) (call $number)) (then unreachable))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
