-- Agno's table on PostgreSQL, as Agno 3 makes it.
CREATE SCHEMA IF NOT EXISTS ai;
CREATE TABLE IF NOT EXISTS ai.agno_learnings (
    learning_id VARCHAR NOT NULL,
    learning_type VARCHAR NOT NULL,
    namespace VARCHAR,
    user_id VARCHAR,
    agent_id VARCHAR,
    team_id VARCHAR,
    workflow_id VARCHAR,
    session_id VARCHAR,
    entity_id VARCHAR,
    entity_type VARCHAR,
    content JSONB NOT NULL,
    metadata JSONB,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    PRIMARY KEY (learning_id)
);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_learning_type ON ai.agno_learnings (learning_type);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_namespace ON ai.agno_learnings (namespace);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_user_id ON ai.agno_learnings (user_id);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_agent_id ON ai.agno_learnings (agent_id);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_team_id ON ai.agno_learnings (team_id);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_workflow_id ON ai.agno_learnings (workflow_id);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_session_id ON ai.agno_learnings (session_id);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_entity_id ON ai.agno_learnings (entity_id);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_entity_type ON ai.agno_learnings (entity_type);
CREATE INDEX IF NOT EXISTS idx_agno_learnings_created_at ON ai.agno_learnings (created_at);
