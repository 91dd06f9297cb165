;; Grows a table by as many elements as the learning id has bytes, and another by as many as the db-id has. Deletes if
;; it got all of them, and refuses otherwise.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (table $first 0 funcref)
    (table $second 0 funcref)
    (func (export "delete-learning") (type $decide)
      (if (i32.eq (table.grow $first (ref.null func) (local.get 1)) (i32.const -1))
        (then (return (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))))
      (if (i32.eq (table.grow $second (ref.null func) (local.get 4)) (i32.const -1))
        (then (return (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
