;; Grows seven memories and the shared one in turn, endlessly.
;; Expected: no memory beyond the limit in total, CPU time limit, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (memory $m0 0)
    (memory $m1 0)
    (memory $m2 0)
    (memory $m3 0)
    (memory $m4 0)
    (memory $m5 0)
    (memory $m6 0)
    (func (export "delete-learning") (type $decide)
      (loop $again
        (drop (memory.grow $m0 (i32.const 16)))
        (drop (memory.grow $m1 (i32.const 16)))
        (drop (memory.grow $m2 (i32.const 16)))
        (drop (memory.grow $m3 (i32.const 16)))
        (drop (memory.grow $m4 (i32.const 16)))
        (drop (memory.grow $m5 (i32.const 16)))
        (drop (memory.grow $m6 (i32.const 16)))
        (drop (memory.grow (i32.const 16)))
        (br $again))
      unreachable)
  )
  ;; include export
)
