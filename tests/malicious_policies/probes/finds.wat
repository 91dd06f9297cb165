;; Locates and finds the record, and deletes the state that it found. Returns a rejection unless that succeeds.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    (import "host" "find" (func $find (param i32)))
    (import "host" "delete-if-unchanged" (func $delete-if-unchanged (param i32 i32 i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $locate (i32.const 0))
      (call $find (i32.const 0))
      ;; The result of `find` is a record, and the result of the delete is `deleted`.
      (if (i32.and (i32.eqz (i32.load8_u (i32.const 0))) (i32.load8_u (i32.const 8)))
        (then
          (call $delete-if-unchanged (i32.load (i32.const 168)) (i32.load (i32.const 172)) (i32.const 512))
          (if (i32.and (i32.eqz (i32.load8_u (i32.const 512))) (i32.eq (i32.load8_u (i32.const 516)) (i32.const 4)))
            (then (return (call $deleted))))))
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
