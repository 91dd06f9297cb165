;; Grows a table endlessly.
;; Expected: no elements beyond the limit, CPU time limit, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (table $table 0 funcref)
    (func (export "delete-learning") (type $decide)
      (loop $again
        (drop (table.grow $table (ref.null func) (i32.const 100)))
        (br $again))
      unreachable)
  )
  ;; include export
)
