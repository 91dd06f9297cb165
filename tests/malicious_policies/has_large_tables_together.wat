;; Has two tables from the start, each of which a policy may have, and which it may not have together. Must not run:
;; 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (table 6000 funcref)
    (table 6000 funcref)
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
