;; Grows a table for ever. Gets no more than it may have, and must be stopped: 500, and the record is kept.
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
