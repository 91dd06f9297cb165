;; Calls WASI once for each byte of the learning id, endlessly if there is a table. Then deletes if there is a db-id,
;; and returns a rejection.
(component
  ;; include imports
  ;; include memory
  ;; include host
  ;; include wasi-clocks
  (core module $policy
    (import "wasi" "now" (func $now (result i64)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again
        (if (local.get 1)
          (then
            (drop (call $now))
            (if (i32.eqz (local.get 5)) (then (local.set 1 (i32.sub (local.get 1) (i32.const 1)))))
            (br $again))))
      (if (local.get 2) (then (call $delete (i32.const 0))))
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  ;; include wasi
)
