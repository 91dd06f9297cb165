;; Grows a table by one element for each byte of the learning id, and another for each byte of the db-id. Deletes if
;; both succeed, otherwise returns a rejection.
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
