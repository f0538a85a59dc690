-- Enterprise events of Box, as its API lists them (`entries`). How they get here: docs/sources/box.md.
--
--: source box
--: about Box: enterprise events
--: unwrap entries[]
--
--: default serviceName 'Box'
--: default sourceIdentifier 'Box enterprise events'
--: default objectType 'ACTIVITY'
--: default noOfObjects 1
--
--: text created_at, event_id, event_type, ip_address, created_by.id, created_by.login, accessible_by.login
--: text source.type, source.id, source.name, source.item_type, source.item_id, source.item_name
--: text source.parent.name, source.owned_by.login
--: text additional_details.service_name
--: int additional_details.size

SELECT
    epoch_ms(created_at) AS timeStamp,
    event_id AS activityId,

    event_type AS actionName,
    event_type AS operation,
    created_by.id AS accountId,
    created_by.login AS "user",
    split_part(lower(created_by.login), '@', 2) AS collabGroup,
    split_part(lower(accessible_by.login), '@', 2) AS collabGroupAndTarget,

    ip_address(ip_address) AS sourceIP,
    additional_details.service_name AS clientName,
    CASE WHEN additional_details.service_name IN ('Box Web App', 'Box') THEN 'browser'
         WHEN additional_details.service_name IN ('Box Drive', 'Box Sync', 'Box Edit', 'Box Tools', 'Box for Office')
         THEN 'desktop app'
         WHEN starts_with(additional_details.service_name, 'Box for iP')
              OR starts_with(additional_details.service_name, 'Box for Android') THEN 'mobile app' END AS clientCategory,
    CASE WHEN event_type = 'DEVICE_TRUST_CHECK_FAILED' THEN false END AS deviceManaged,

    coalesce(source.item_id, source.id) AS targetId,
    coalesce(source.item_type, source.type) AS targetType,

    -- The source of an event may also be a user.
    CASE WHEN coalesce(source.item_type, source.type) IN ('file', 'folder', 'web_link')
         THEN coalesce(source.item_name, source.name) END AS fileName,
    CASE WHEN coalesce(source.item_type, source.type) = 'file'
         THEN coalesce(file_extension(coalesce(source.item_name, source.name)), 'file')
         WHEN coalesce(source.item_type, source.type) IN ('folder', 'web_link')
         THEN coalesce(source.item_type, source.type) END AS fileType,
    source.parent.name AS fileFolderPath,
    source.owned_by.login AS fileOwner,
    additional_details.size AS fileSize,
    CASE WHEN event_type IN ('ITEM_SHARED_UNSHARE', 'UNSHARE', 'COLLABORATION_REMOVE', 'COLLAB_REMOVE_COLLABORATOR')
         THEN false
         WHEN starts_with(event_type, 'ITEM_SHARED') OR starts_with(event_type, 'COLLAB') OR event_type = 'SHARE'
         THEN true END AS fileSharingEnabled,
    CASE WHEN event_type IN ('DOWNLOAD', 'ITEM_DOWNLOAD') THEN additional_details.size END AS downloadBytes,
    CASE WHEN event_type IN ('UPLOAD', 'ITEM_UPLOAD') THEN additional_details.size END AS uploadBytes
FROM record
