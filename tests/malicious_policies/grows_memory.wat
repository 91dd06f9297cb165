;; Grows its memory endlessly and writes to every page that it gets.
;; Expected: no memory beyond the limit, CPU time limit, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $at i32)
      (loop $again
        (local.set $at (memory.grow (i32.const 1)))
        (if (i32.ne (local.get $at) (i32.const -1))
          (then (i32.store (i32.shl (local.get $at) (i32.const 16)) (i32.const 1))))
        (br $again))
      unreachable)
  )
  ;; include export
)
