;; Grows the shared memory by one page for each byte of the learning id, and its own memory by one page for each byte
;; of the db-id. Deletes if both succeed, otherwise returns a rejection.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (memory $own 0)
    (func (export "delete-learning") (type $decide)
      (if (i32.eq (memory.grow $memory (local.get 1)) (i32.const -1))
        (then (return (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))))
      (if (i32.eq (memory.grow $own (local.get 4)) (i32.const -1))
        (then (return (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))))
      ;; The last byte of the new memory is writable.
      (i32.store8 $memory (i32.sub (i32.shl (memory.size $memory) (i32.const 16)) (i32.const 1)) (i32.const 1))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
