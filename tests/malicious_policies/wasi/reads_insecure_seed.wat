;; Reads the seed of a hash map, as Rust's standard library does. Deletes if it is 0, or with a db-id if it is not 0.
;; Expected: 0 without `random`, so that no decision depends on chance: 204.
(component
  ;; include imports
  (import "wasi:random/insecure-seed@0.2.0" (instance $seed
    (export "insecure-seed" (func (result (tuple u64 u64))))
  ))
  ;; include memory
  ;; include host
  (core func $seed (canon lower (func $seed "insecure-seed") (memory $memory "memory")))
  (core instance $wasi (export "seed" (func $seed)))
  (core module $policy
    (import "wasi" "seed" (func $seed (param i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $seed (i32.const 0))
      (if (i32.eq (local.get 2) (i64.eqz (i64.or (i64.load (i32.const 0)) (i64.load (i32.const 8)))))
        (then unreachable))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
